"""The parts of `bin/bench perf`: what the recorder costs inside trytond."""
