-- server_hold (PostgreSQL): no server comes up, or says that it still is, before this transaction has ended.
lock table server in share row exclusive mode
