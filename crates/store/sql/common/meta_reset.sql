-- A database that is emptied: from here on it is another one, which gives none of the workers' numbers and epochs again.
update meta
set
  incarnation = $1,
  given_before = (
    select max(given)
    from (
      select given_before as given from meta
      union all
      select max(number) from worker
      union all
      select max(epoch) from worker
    ) as numbers
  )
