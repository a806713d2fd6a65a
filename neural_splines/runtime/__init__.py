"""What every run stands on: devices, memory, progress, interrupts. Knows nothing of clouds, fields or surfaces."""
