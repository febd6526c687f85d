//! Find, fetch or build llama.cpp, and prove by running it that it works here.
