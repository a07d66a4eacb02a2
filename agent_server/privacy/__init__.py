"""Personal data: what the ledger holds, its export, and its erasure from tables and files."""

from agent_server.privacy.erasing import Erase as Erase
from agent_server.privacy.erasing import ErasureResult as ErasureResult
