"""A stand-in for Azure OpenAI Realtime on loopback: the real wire protocol, spoken from a script instead of by a model.

What is imitated: both URL forms and event dialects, server-side voice detection on the audio that arrives, interruption,
function calls, usage, errors. What is not: understanding. The answers are the script's, and the audio is a tone.
"""

from __future__ import annotations

from tracing.local.azure_realtime.connection import Moment
from tracing.local.azure_realtime.script import Call, CallScript, Fail, Say, Step, Usage
from tracing.local.azure_realtime.server import AzureRealtime

__all__ = ["AzureRealtime", "Call", "CallScript", "Fail", "Moment", "Say", "Step", "Usage"]
