"""Wait policy of OpenMP threads, which LightGBM and scikit-learn use."""

import os


def set_passive_wait() -> None:
    """Make waiting threads sleep, unless the user set a policy. Call it before a library loads OpenMP.

    By default they spin and take cores from the threads they wait for: on a busy machine training took up to four times
    as long, with up to six times the CPU time.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
