"""How threads of OpenMP, which LightGBM and scikit-learn use, wait for one another."""

import os


def let_threads_sleep() -> None:
    """Let them sleep, unless the user chose. Call it before such a library is loaded, as it reads this only then.

    By default they spin, and so take the cores from the threads that they wait for: on a busy machine training took up to four
    times as long, with up to six times the CPU time.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
