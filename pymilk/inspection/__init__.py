"""What is known of streams from outside: state, rates, users; making and removing them."""

from .describe import describe_stream, stream_details, survey
from .making import create_stream, new_stream, remove_stream
from .rates import measure_rates, measure_stream
from .users import processes_using

__all__ = [
    "create_stream",
    "describe_stream",
    "measure_rates",
    "measure_stream",
    "new_stream",
    "processes_using",
    "remove_stream",
    "stream_details",
    "survey",
]
