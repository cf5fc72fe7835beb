"""The user-space carrier: frames from the TAP go into sealed datagrams on the mesh port, and back.

What is to be done it is told by ``datapath.sleeve``. ``sleeve`` is the object; one frame's way out is
``outward`` (through ``segments``, ``seals`` and ``udp``), one datagram's way in is ``inward`` (through
``assembly``, ``seals`` and ``window``).
"""
