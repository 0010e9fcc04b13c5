"""For plugins whose things can be shared."""

from locutory_resources.ownership import OwnedResources, OwnershipTransfer
from locutory_resources.rights import CallerRights, object_id

__all__ = ["CallerRights", "OwnedResources", "OwnershipTransfer", "object_id"]
