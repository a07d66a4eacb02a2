"""A small file with other column names, and the mapping that reads it."""

FOREIGN = """order,placed,cents,dev,chargeback,v1,shop,card_ok,currency
a,13/02/2025 10:00,1250,PC,N,0.5,x,yes,EUR
b,14/02/2025 11:00,99900,Phone,Y,1.5,y,no,EUR
c,15/02/2025 11:00,oops,Fridge,N,bad,x,maybe,EUR
"""

MAPPING = """
columns:
  transaction_id: order
  timestamp: {from: placed, format: "%d/%m/%Y %H:%M"}
  order_amount: {from: cents, scale: 0.01}
  device_type: {from: dev, values: {PC: desktop, Phone: mobile}}
  email_verified: card_ok
label: {from: chargeback, abuse: "Y"}
extra: {numeric: [v1], categorical: [shop]}
"""
