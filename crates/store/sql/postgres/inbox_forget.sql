-- inbox_forget (PostgreSQL, where an inbox is): takes away refused rows that were refused more than $1 microseconds ago, or
-- that are more than the $2 newest; $3 at once, the oldest first. Whose error was set to null meanwhile stays.
delete from taskyard.inbox
where error is not null
  and id in (
    select old.id
    from (
      (
        select inbox.id, inbox.failed_at
        from taskyard.inbox
        where inbox.error is not null
          and inbox.failed_at < clock_timestamp() - $1 * interval '1 microsecond'
        order by inbox.failed_at
        limit $3
      )
      union
      (
        select inbox.id, inbox.failed_at
        from taskyard.inbox
        where inbox.error is not null
        order by inbox.failed_at desc
        offset $2
        limit $3
      )
    ) as old
    order by old.failed_at
    limit $3
  )
returning id
