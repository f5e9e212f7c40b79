// A provider of OpenID Connect that knows one user and asks nothing, as oauth2-proxy's own tests have it. It writes its
// issuer, and the id and the secret of its client, and ends with its standard input.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/oauth2-proxy/mockoidc"
)

func main() {
	provider, err := mockoidc.Run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(provider.Issuer(), provider.ClientID, provider.ClientSecret)
	io.Copy(io.Discard, os.Stdin)
}
