"""Stories: what they are written in, how they are told and judged."""
