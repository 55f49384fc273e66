"""Live streams without a camera: simulated sensors, their faults, and a small closed loop."""

from .camera import SimulatedCamera, SimulatedLoop, SimulationReport
from .faults import Faults
from .scenes import SCENES, shack_hartmann

__all__ = ["SCENES", "Faults", "SimulatedCamera", "SimulatedLoop", "SimulationReport", "shack_hartmann"]
