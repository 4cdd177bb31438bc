"""What happens around every call: who calls, may they, is there room, what went wrong.

access  tokens -> tenant and role; the roles of each method, from the contract
calls   the call at hand, as servicers see it
gate    the queue in front of the handlers: who has to wait, who is refused
guard   what stands around every method: admission, errors, metrics, the log line
messages  bytes in place of messages, both ways
refusals  what refusing a call costs
"""

from recsvc.serving.interceptors.access import Authenticator, Caller, Role
from recsvc.serving.interceptors.calls import Call, current_call
from recsvc.serving.interceptors.guard import Guard
from recsvc.serving.interceptors.messages import Written

__all__ = [
    "Authenticator",
    "Call",
    "Caller",
    "Guard",
    "Role",
    "Written",
    "current_call",
]
