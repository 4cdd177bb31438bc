"""recsvc (智慧推荐): matching of leads and members, as a service."""

__version__ = "0.1.0"
