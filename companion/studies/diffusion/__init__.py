"""A private diffusion model that starts from the prior's samples: a study, not a method yet."""
