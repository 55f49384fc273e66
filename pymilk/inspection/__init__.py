"""What is known of streams from outside: state, rates, users; making and removing them."""

from .describe import describe_stream, stream_details, survey
from .making import create_stream, new_stream, remove_stream
from .rates import measure_rates, measure_stream
from .users import check_unwritten, processes_using

__all__ = [
    "check_unwritten",
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
