from artcafe.server.domain.recent cimport Recent


cdef class Lane:
    cdef str subject
    cdef readonly tuple receivers
    cdef Py_ssize_t size
    cdef bytes head

    cpdef bytes sized(self, Py_ssize_t size)
    cpdef hear(self, bytes payload)


cdef class Lanes:
    cdef readonly object _interest
    cdef readonly Recent _known

    cpdef Lane of(self, str subject)
