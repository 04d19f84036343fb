//! The control plane: rooms, participants, tracks and LiveKit signalling sessions as state machines.
