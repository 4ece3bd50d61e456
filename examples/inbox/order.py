"""An order and the task that it wants, both or neither:  SHOP_URL=postgresql://… python3 examples/inbox/order.py

Needs psycopg: pip install 'psycopg[binary]'
"""

import os

import psycopg
from psycopg.types.json import Jsonb


def order(shop, item, options=None):
    """Within the transaction of whoever calls it. Answers the task's id, which can be followed once that commits."""
    submit = "select taskyard.submit('echo', %s, %s)"
    (task,) = shop.execute(submit, [Jsonb({"item": item}), Jsonb(options or {})]).fetchone()
    shop.execute("insert into orders (item, task) values (%s, %s)", [item, task])
    return task


with psycopg.connect(os.environ["SHOP_URL"], autocommit=True) as shop:
    with shop.transaction():
        print(order(shop, "kettle", {"queue": "orders", "priority": 1}))

    try:
        with shop.transaction():
            order(shop, "mistake")
            raise RuntimeError("the card was refused")
    except RuntimeError:
        pass  # nobody hears of this one: it is rolled back with its order
