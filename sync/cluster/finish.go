package cluster

import (
	"context"
	"io"
	"net/http"
	"time"
)

// grace is how long a write that has begun may take when its pass is over. It is well below what an agent that ends
// waits for its passes.
const grace = 5 * time.Second

// finishing lets writes that have begun come to their end, although their context is over because the agent ends: so
// that what is written is known and not guessed. A new one is not begun then.
func finishing(next http.RoundTripper) http.RoundTripper { return transport{next, finish} }

func finish(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	pass := request.Context()
	switch {
	case !isWrite(request), isLease(request):
		return next.RoundTrip(request)
	case pass.Err() != nil:
		return refuse(request, pass.Err())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(pass))
	stop := context.AfterFunc(pass, func() { time.AfterFunc(grace, cancel) })
	end := func() {
		stop()
		cancel()
	}
	response, err := next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		end()
		return nil, err
	}
	response.Body = endingBody{response.Body, end}
	return response, nil
}

// endingBody lets go of a request's context once its answer has been read.
type endingBody struct {
	io.ReadCloser
	end func()
}

func (b endingBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
