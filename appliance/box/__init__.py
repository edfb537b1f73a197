"""What the box image has and a checkout has not: updates, two versions side by side, a console, a share. `agent` is
the only part that runs as root; the panel asks it through a socket (`link`)."""
