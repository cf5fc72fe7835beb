"""What a container of Docker's is called in our DNS when nobody says."""

from tulle.docker.engine import Inspected
from tulle.names.hostname import complete_inside


def own_name(container: Inspected, domain: str) -> str | None:
    """The full name in our ``domain`` that a container has by itself, None when it has one elsewhere.

    A host name with a domain (``--hostname web.tulle.internal``, ``--domainname``) says where it belongs.
    Without a domain it is put into ours; and where nobody has chosen a host name, the container's name is.
    Raises UserError when that cannot be a host name.
    """
    config = container.config
    chosen = config.hostname if config.hostname != container.id[:12] else ""
    full = f"{config.hostname}.{config.domainname}" if config.domainname and config.hostname else chosen
    if "." not in full.strip("."):
        return complete_inside(full or container.name.removeprefix("/"), domain)
    inside = full.lower().strip(".").endswith("." + domain.lower().strip("."))
    return complete_inside(full, domain) if inside else None
