cimport cython

from artcafe.server.core.publishing.publisher cimport MessageClock, Publisher
from artcafe.server.domain.rate cimport TokenBucket
from artcafe.server.gateway.fanout.hub cimport TenantHub
from artcafe.server.gateway.fanout.subscriber cimport Subscriber
from artcafe.server.gateway.sessions.publish_template cimport PublishTemplate


cdef class AgentSession:
    cdef object __weakref__
    cdef public object principal
    cdef public TenantHub hub
    cdef public Subscriber subscriber
    cdef public tuple subscribers
    cdef readonly object limits
    cdef readonly object _client
    cdef readonly object _rights
    cdef object _link
    cdef readonly object _answers
    cdef object _read
    cdef readonly MessageClock _clock
    cdef object _start
    cdef PublishTemplate _template
    cdef str _subject
    cdef object _services
    cdef TokenBucket _bucket
    cdef readonly Publisher _publisher
    cdef Publisher _presence_publisher
    cdef TokenBucket _patience
    cdef object _requests
    cdef readonly object _deliveries
    cdef readonly object _discovery
    cdef object _said
    cdef object _subscriptions
    cdef object _memberships
    cdef object _responder
    cdef readonly object storing
    cdef readonly object inbox
    cdef object _sender

    @cython.locals(known=PublishTemplate, data=bytes)
    cpdef take(self, bytes message)
    cpdef _one(self, frame)
    @cython.locals(publisher=Publisher, message_id=str)
    cpdef _publish(self, str subject, data, frame_id, headers, reply_to, dedup)
    cpdef _published(self, frame_id, str message_id)
