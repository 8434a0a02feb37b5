cimport cython


cdef class MessageBatch:
    cdef readonly list payloads
    cdef list _envelopes
    cdef list _encoded

    @cython.locals(encoded=EncodedBatch)
    cpdef EncodedBatch encoded(self, Encoder encoder)


cdef class EncodedBatch:
    cdef readonly Encoder encoder
    cdef readonly bytes joined
    cdef readonly Py_ssize_t count
    cdef list _pieces
    cdef list _envelopes


cdef class Encoder:
    cpdef EncodedBatch encode(self, MessageBatch batch)


cdef class DialectEncoder(Encoder):
    cdef str _name
    cdef object _encode
    cdef object _tenant
    cdef str _subject
    cdef str _sender

    cpdef EncodedBatch encode(self, MessageBatch batch)


cdef class PrefixEncoder(Encoder):
    cdef bytes _opening
    cdef Py_ssize_t _size
    cdef bytes _head

    @cython.locals(pieces=list, payload=bytes, text='const char *', size=Py_ssize_t)
    cpdef EncodedBatch encode(self, MessageBatch batch)
