"""muttd: syslog, SNMP notifications and HTTP events, from the wire to the page."""

__version__ = "0.1.0"
