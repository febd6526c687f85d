//! What this machine is: processor, memory, C library, GPUs.
