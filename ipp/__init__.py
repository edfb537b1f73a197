"""Printers in both directions: message codec, client, discovery, supervision, pools, sender, virtual printer."""
