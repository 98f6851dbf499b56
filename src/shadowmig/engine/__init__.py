"""How one call goes: sampling, serving, running the other side, judging. Users need the runners and the breaker."""

from shadowmig.engine.breaker import Breaker
from shadowmig.engine.runner import Inline
from shadowmig.engine.tasks import Tasks
from shadowmig.engine.threads import Threads

__all__ = ["Breaker", "Inline", "Tasks", "Threads"]
