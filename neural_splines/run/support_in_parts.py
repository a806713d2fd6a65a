"""What the mesh of a run in parts owes to its data, as `surface.support.looked_at` tells it of a whole one.

Areas of blocks add up; invented regions that meet at the walls of blocks are one, joined by the vertices they share.
"""

from __future__ import annotations

import torch

from ..surface.support import Shares, Support, shares_of
from .painting import stored_as
from .plan import Plan
from .stitch import Borders, Kept, before, common, forget


def support_of(plan: Plan, blocks: list[int], kept: Kept) -> Support:
    """Of the components of all blocks that are kept, whose support is in the store."""
    borders: Borders = {}
    found, links, total = [], [], 0
    for block in blocks:
        part = plan.store.load(f"block-{block}", "vertices", "faces", "label", "keys", "border")
        if "faces" not in part or not len(part["faces"]) or not kept.components[block].any():
            continue
        faces = part["faces"].long()
        here = kept.components[block][part["label"].long()[faces[:, 0]]]
        number = plan.store.load(f"{stored_as('support')}-{block}")["values"].numpy()
        shares = shares_of(part["vertices"].numpy(), faces[here].numpy(), number)
        region = torch.from_numpy(shares.region)[part["border"]]
        invented = region >= 0
        keys, region = part["keys"][invented], total + region[invented]
        for other in before(plan, block, borders):
            mine, theirs = common(keys, borders[other][0])
            links.append(torch.stack([region[mine], borders[other][1][theirs]], 1).unique(dim=0))
        borders[block] = keys, region
        forget(plan, block, borders)
        found.append(shares)
        total += len(shares.size)
    return Shares.joined(found, links)
