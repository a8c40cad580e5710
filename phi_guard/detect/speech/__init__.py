"""The parts of the spoken layer: what a caller dictates and a recogniser writes down."""
