-- lane_lock (PostgreSQL): lanes are numbered by one server at a time, so that numbers become visible in their order.
lock table lane in share row exclusive mode
