"""Streams: orders of returning customers, devices, addresses and cards, and attackers who stay for hours to weeks.

Every row is drawn from the same declared patterns as an independent row. Rows are linked by the random numbers that
they share: a customer has a fixed number for her mail domain, a device one for its browser. A shared number is as
evenly distributed over customers as a fresh one is over rows, so each row alone follows its pattern exactly and its
posterior stays exact; only the relations between rows are new.
"""
