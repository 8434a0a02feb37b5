cpdef require_once(bytes message, read)
