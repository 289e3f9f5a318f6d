"""How bad a notification is: OID -> severity, by the longest prefix, arc by arc.

    operators' entries   before   what MIBs say (--#SEVERITY)   before   the ones that are shipped

A MIB says what a notification is about and hardly ever how bad that is; somebody has to.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

# RFC 5424, 6.2.1, table 2.
_ALERT = 1
_ERROR = 3
_WARNING = 4
_NOTICE = 5
_INFORMATIONAL = 6

# Of a notification of which nothing else is known.
DEFAULT_SEVERITY = _NOTICE

_SNMP_TRAPS = "1.3.6.1.6.3.1.1.5"
_MIB_2 = "1.3.6.1.2.1"
_TRANSMISSION = f"{_MIB_2}.10"
_CISCO_MGMT = "1.3.6.1.4.1.9.9"

SHIPPED_SEVERITIES: Mapping[str, int] = {
    f"{_SNMP_TRAPS}.1": _WARNING,  # coldStart
    f"{_SNMP_TRAPS}.2": _WARNING,  # warmStart
    f"{_SNMP_TRAPS}.3": _ERROR,  # linkDown
    f"{_SNMP_TRAPS}.4": _NOTICE,  # linkUp
    f"{_SNMP_TRAPS}.5": _WARNING,  # authenticationFailure
    f"{_SNMP_TRAPS}.6": _ERROR,  # egpNeighborLoss
    f"{_MIB_2}.14.16.2": _WARNING,  # ospfTraps: neighbours, interfaces, authentication
    f"{_MIB_2}.14.16.2.10": _INFORMATIONAL,  # ospfTxRetransmit
    f"{_MIB_2}.14.16.2.12": _INFORMATIONAL,  # ospfOriginateLsa
    f"{_MIB_2}.14.16.2.13": _INFORMATIONAL,  # ospfMaxAgeLsa
    f"{_MIB_2}.15.0.2": _ERROR,  # bgpBackwardTransNotification
    f"{_MIB_2}.15.7.2": _ERROR,  # bgpBackwardTransition
    f"{_MIB_2}.16.0.1": _WARNING,  # risingAlarm
    f"{_MIB_2}.17.0.1": _WARNING,  # newRoot
    f"{_MIB_2}.33.2.1": _ERROR,  # upsTrapOnBattery
    f"{_MIB_2}.33.2.2": _INFORMATIONAL,  # upsTrapTestCompleted
    f"{_MIB_2}.33.2.3": _WARNING,  # upsTrapAlarmEntryAdded
    f"{_MIB_2}.68.0": _WARNING,  # vrrpTrapNewMaster, vrrpTrapAuthFailure
    f"{_MIB_2}.80.0.1": _WARNING,  # pingProbeFailed
    f"{_MIB_2}.80.0.2": _WARNING,  # pingTestFailed
    f"{_MIB_2}.131.0.2": _ERROR,  # entStateOperDisabled
    f"{_MIB_2}.157.0.1": _WARNING,  # pimNeighborLoss
    f"{_TRANSMISSION}.166.3.0.2": _ERROR,  # mplsTunnelDown
    f"{_TRANSMISSION}.166.4.0.4": _ERROR,  # mplsLdpSessionDown
    f"{_TRANSMISSION}.166.11.0.2": _ERROR,  # mplsL3VpnVrfDown
    f"{_CISCO_MGMT}.13.3.0": _ERROR,  # ciscoEnvMon: voltage, temperature, fans, supplies
    f"{_CISCO_MGMT}.13.3.0.1": _ALERT,  # ciscoEnvMonShutdownNotification
    "1.3.6.1.4.1.8072.4.0.2": _WARNING,  # nsNotifyShutdown
}

# Severities of notifications are looked up for every trap; devices send few kinds.
_CACHED_OIDS = 4096


class TrapSeverities:
    """The severities in force. Immutable but for a cache; safe in several threads.

    Args:
        of_operators: OID -> severity 0 to 7; each holds for every OID below it.
        of_mibs: The same, as annotated in MIBs.
    """

    def __init__(self, of_operators: Mapping[str, int], of_mibs: Mapping[str, int]) -> None:
        self._tiers = (of_operators, of_mibs, SHIPPED_SEVERITIES)
        self.of = functools.lru_cache(maxsize=_CACHED_OIDS)(self._find)

    def _find(self, trap_oid: str) -> int:
        for tier in self._tiers:
            prefix = trap_oid
            while prefix:
                if prefix in tier:
                    return tier[prefix]
                prefix = prefix.rpartition(".")[0]
        return DEFAULT_SEVERITY
