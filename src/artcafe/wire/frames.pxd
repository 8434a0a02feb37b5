cpdef require_once(bytes message, read)
cpdef bytes envelope(str message_id, str timestamp, data, headers, reply_to)
cpdef bytes splice(str subject, str sender, bytes envelope)
