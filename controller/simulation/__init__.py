"""A site's own document through a day on the virtual depot, and how that went."""
