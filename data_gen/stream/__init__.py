"""A stream: orders whose customers, devices, addresses and cards come back, and attackers who stay for hours to weeks.

Every row is drawn from the same declared patterns as a row that stands alone. What makes rows belong together are the random
numbers that they share: a customer keeps the number that her mail domain is drawn with, a device the number of its browser. A
shared number is as evenly spread over customers as a fresh one is over rows, so each row alone follows its pattern exactly,
and its posterior stays exact; only what rows say about one another is new.
"""
