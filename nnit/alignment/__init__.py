"""Whether networks share the order of their hidden units, and whether weights are smooth."""
