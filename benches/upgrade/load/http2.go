package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"golang.org/x/net/http2"
)

func tlsSettings(authority string) (*tls.Config, error) {
	text, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate", authority)
	}
	return &tls.Config{RootCAs: roots, ServerName: Host, NextProtos: []string{"h2"}}, nil
}

// http2Streams keeps streams going on one connection, and opens another one when the server has said
// GOAWAY. Streams that are under way then have to be answered: only what the server says that it did not
// take (RFC 9113 section 6.8) is nothing that failed.
func http2Streams(kind *Kind, over <-chan struct{}, address string, settings *tls.Config, streams int) {
	transport := &http2.Transport{}
	for !isOver(over) {
		raw, err := tls.DialWithDialer(&net.Dialer{Timeout: Wait}, "tcp", address, settings)
		if err != nil {
			kind.Fault(word(atConnect, err))
			continue
		}
		connection, err := transport.NewClientConn(raw)
		if err != nil {
			kind.Fault(word(atConnect, err))
			raw.Close()
			continue
		}
		var all sync.WaitGroup
		for range streams {
			all.Go(func() {
				for !isOver(over) && connection.ReserveNewRequest() {
					switch fault := stream(connection); {
					case fault == notTaken:
						kind.NotTaken.Add(1)
						return
					case fault != "":
						kind.Fault(fault)
						return
					}
					kind.Done.Add(1)
				}
			})
		}
		all.Wait()
		connection.Close()
	}
}

// notTaken is what the server has said not to have taken: it is safe to ask elsewhere.
const notTaken = "not taken"

func stream(connection *http2.ClientConn) string {
	limit, cancel := context.WithTimeout(context.Background(), Wait)
	defer cancel()
	request, err := http.NewRequestWithContext(limit, http.MethodGet, "https://"+Host+"/", nil)
	if err != nil {
		return err.Error()
	}
	response, err := connection.RoundTrip(request)
	if err != nil && (strings.Contains(err.Error(), "graceful shutdown GOAWAY") ||
		strings.Contains(err.Error(), "client conn not usable")) {
		return notTaken
	}
	if err != nil {
		return word(atAnswer, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return word(atAnswer, err)
	}
	if response.StatusCode != http.StatusOK || string(body) != Answer {
		return fmt.Sprintf("%s: status %d", atAnswer, response.StatusCode)
	}
	return ""
}
