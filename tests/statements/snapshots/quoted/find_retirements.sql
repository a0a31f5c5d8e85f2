-- $1 retirements
select to_regclass($1::VARCHAR) is not null as found
