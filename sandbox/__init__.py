"""The five gateways in a box: a separate server that speaks their wire protocols, with fault dials and a movable clock.

It imports nothing of Tirelire and nothing of Tirelire imports it: the two meet over HTTP only, as with the real ones.
"""
