import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** Prints the answers to requests of Java's own client, with its default settings. */
class Offers {
    static final String BODY = "{\"a\":1}";

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        BodyPublisher text = BodyPublishers.ofString(BODY);
        // Of unknown length, so it is sent in chunks.
        BodyPublisher streamed = BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(BODY.getBytes()));
        HttpClient client = HttpClient.newHttpClient();
        send(client, "POST", request(url + "/api/echo").POST(text));
        send(client, "streamed POST", request(url + "/api/echo").POST(streamed));
        send(client, "expecting POST", request(url + "/api/echo").expectContinue(true).POST(text));
        send(client, "empty POST", request(url + "/api/echo").POST(BodyPublishers.noBody()));
        send(client, "GET", request(url + "/api/echo").GET());
        send(client, "DELETE", request(url + "/api/echo").DELETE());
        send(client, "refused POST", request(url + "/api/closed").POST(text));
        send(client, "unknown POST", request(url + "/api/unknown").POST(text));
        send(client, "POST", request(url + "/api/echo").POST(text));
    }

    static HttpRequest.Builder request(String url) {
        return HttpRequest.newBuilder(URI.create(url)).header("Content-Type", "application/json");
    }

    static void send(HttpClient client, String name, HttpRequest.Builder request) throws Exception {
        var answer = client.send(request.build(), BodyHandlers.ofString());
        System.out.println(name + " " + answer.statusCode() + " " + answer.body());
    }
}
