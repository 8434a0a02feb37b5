cpdef bytes envelope(str message_id, bytes stamp, data)
cpdef bint is_request(bytes envelope)
