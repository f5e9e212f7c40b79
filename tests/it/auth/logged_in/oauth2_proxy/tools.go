//go:build tools

// Package oauth2_proxy names the program that `build` compiles, so that go.mod can pin its version.
package oauth2_proxy

import (
	_ "github.com/oauth2-proxy/oauth2-proxy/v7"
)
