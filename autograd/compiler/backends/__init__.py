"""What runs a program: Python for single examples, numpy statements and machine code for batches. Only `plan` asks for one."""
