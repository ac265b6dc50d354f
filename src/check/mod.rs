//! The checks of `troubleshoot`: one file an area, pure judgements over gathered facts, in hop order. Prints nothing.
