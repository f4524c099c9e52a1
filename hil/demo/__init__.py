"""The live depot of `./run`: what is seen, what can be broken, what came of it."""
