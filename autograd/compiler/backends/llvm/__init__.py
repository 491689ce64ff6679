"""Machine code: LLVM assembly written from the rows of the table and compiled by llvmlite. Loaded when it is asked for."""
