//! Servers that claim and send what they should not.

use super::messages::content_addressable_storage_server::{ContentAddressableStorage, ContentAddressableStorageServer};
use super::messages::execution_server::{Execution, ExecutionServer};
use super::messages::*;
use super::{Address, Blob, CacheUse, Client, RemoteError, RemoteOptions};
use bazel_remote_apis::google::bytestream::byte_stream_server::{ByteStream, ByteStreamServer};
use bazel_remote_apis::google::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest, WriteResponse,
};
use bazel_remote_apis::google::longrunning::Operation;
use buildscope_record::BlobDigest;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;
type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What is sent for every blob.
#[derive(Clone, Copy)]
enum Sends {
    /// Messages without bytes, without an end.
    Nothing,
    /// More than the size.
    Endless,
    /// Other bytes of the same size.
    Others,
}

#[derive(Clone, Copy)]
struct Hostile(Sends);

/// The address of a server, which runs until the end of the process.
fn start(sends: Sends) -> Address {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("grpc://{}", listener.local_addr().unwrap()).parse().unwrap();
    runtime.spawn(async move {
        let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
        let server = Server::builder()
            .add_service(ByteStreamServer::new(Hostile(sends)))
            .add_service(ContentAddressableStorageServer::new(Hostile(sends)))
            .add_service(ExecutionServer::new(Hostile(sends)));
        server.serve_with_incoming(incoming).await.unwrap();
    });
    address
}

fn client(sends: Sends) -> Client {
    Client::new(RemoteOptions::of(start(sends))).unwrap()
}

/// A client that does not wait long.
fn impatient(sends: Sends) -> Client {
    let options = RemoteOptions { timeout: Duration::from_millis(300), ..RemoteOptions::of(start(sends)) };
    Client::new(options).unwrap()
}

/// The error of a download, and what was received.
fn download(client: Client, blob: Blob) -> (RemoteError, usize) {
    let own = client.clone();
    client.wait(async move {
        let mut bytes = Vec::new();
        let error = own.download(blob, &mut bytes).await.unwrap_err();
        (error, bytes.len())
    })
}

#[tonic::async_trait]
impl ByteStream for Hostile {
    type ReadStream = Messages<ReadResponse>;

    async fn read(&self, _: Request<ReadRequest>) -> Answer<Self::ReadStream> {
        let data = match self.0 {
            Sends::Nothing => Vec::new(),
            Sends::Endless => vec![7; 1 << 10],
            Sends::Others => vec![7; 3],
        };
        let forever = tokio_stream::iter(std::iter::repeat_with(move || Ok(ReadResponse { data: data.clone() })));
        Ok(Response::new(match self.0 {
            Sends::Others => Box::pin(tokio_stream::StreamExt::take(forever, 1)),
            Sends::Nothing | Sends::Endless => Box::pin(forever),
        }))
    }

    async fn write(&self, _: Request<Streaming<WriteRequest>>) -> Answer<WriteResponse> {
        Err(Status::unimplemented(""))
    }

    async fn query_write_status(&self, _: Request<QueryWriteStatusRequest>) -> Answer<QueryWriteStatusResponse> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl ContentAddressableStorage for Hostile {
    type GetTreeStream = Messages<GetTreeResponse>;
    type GetChunkMappingStream = Messages<GetChunkMappingResponse>;

    /// Names the blobs that were asked for, and others of the largest size.
    async fn find_missing_blobs(&self, asked: Request<FindMissingBlobsRequest>) -> Answer<FindMissingBlobsResponse> {
        let other = |text: String| Digest { hash: BlobDigest::of(text).hex(), size_bytes: i64::MAX };
        let mut missing_blob_digests = asked.into_inner().blob_digests;
        missing_blob_digests.extend((0..3).map(|number| other(number.to_string())));
        Ok(Response::new(FindMissingBlobsResponse { missing_blob_digests }))
    }

    async fn batch_update_blobs(&self, _: Request<BatchUpdateBlobsRequest>) -> Answer<BatchUpdateBlobsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn batch_read_blobs(&self, _: Request<BatchReadBlobsRequest>) -> Answer<BatchReadBlobsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn get_tree(&self, _: Request<GetTreeRequest>) -> Answer<Self::GetTreeStream> {
        Err(Status::unimplemented(""))
    }

    async fn split_blob(&self, _: Request<SplitBlobRequest>) -> Answer<SplitBlobResponse> {
        Err(Status::unimplemented(""))
    }

    async fn splice_blob(&self, _: Request<SpliceBlobRequest>) -> Answer<SpliceBlobResponse> {
        Err(Status::unimplemented(""))
    }

    async fn get_chunk_mapping(&self, _: Request<GetChunkMappingRequest>) -> Answer<Self::GetChunkMappingStream> {
        Err(Status::unimplemented(""))
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<RegisterChunkMappingRequest>>,
    ) -> Answer<RegisterChunkMappingResponse> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl Execution for Hostile {
    type ExecuteStream = Messages<Operation>;
    type WaitExecutionStream = Messages<Operation>;

    /// Many operations that do not end.
    async fn execute(&self, _: Request<ExecuteRequest>) -> Answer<Self::ExecuteStream> {
        let operation = |number| Ok(Operation { name: format!("operation {number}"), ..Operation::default() });
        Ok(Response::new(Box::pin(tokio_stream::iter((0..50_000).map(operation)))))
    }

    async fn wait_execution(&self, _: Request<WaitExecutionRequest>) -> Answer<Self::WaitExecutionStream> {
        Err(Status::unimplemented(""))
    }
}

#[test]
fn a_download_without_bytes_or_without_an_end_is_an_error() {
    let (error, _) = download(impatient(Sends::Nothing), Blob::of("abc"));
    // A fast server is refused for its empty frames first (h2).
    let is_refused = error.to_string().contains("too_many_data_frames");
    assert!(matches!(error, RemoteError::Stalled { .. }) || is_refused, "{error}");
    let (error, received) = download(client(Sends::Endless), Blob { size: 100_000, ..Blob::of("abc") });
    assert!(error.to_string().ends_with("is longer than 100000 bytes") && received <= 100_000, "{error}");
    let (error, _) = download(client(Sends::Others), Blob::of("abc"));
    assert!(matches!(error, RemoteError::Corrupt { .. }), "{error}");
}

#[test]
fn a_size_that_a_server_claims_does_not_fill_the_memory() {
    let client = client(Sends::Endless);
    let own = client.clone();
    let huge = Blob { size: 1 << 60, ..Blob::of("abc") };
    let error = client.wait(async move { own.read(&[huge]).await.unwrap_err() });
    assert!(error.to_string().contains("has 1152921504606846976 bytes"), "{error}");
}

#[test]
fn only_blobs_that_were_asked_for_are_missing() {
    let client = client(Sends::Nothing);
    let own = client.clone();
    let asked = Blob::of("abc");
    let missing = client.wait(async move { own.missing(&[asked]).await.unwrap() });
    assert_eq!(missing.into_iter().collect::<Vec<_>>(), [asked]);
}

#[test]
fn a_server_that_names_many_operations_gets_few_cancellations() {
    let client = impatient(Sends::Nothing);
    let own = client.clone();
    let begin = Instant::now();
    let error =
        client.wait(async move { own.execute(Blob::of("action"), CacheUse::Fresh, &[], &|| {}).await.unwrap_err() });
    assert!(matches!(error, RemoteError::Unreachable { .. }), "{error}");
    assert!(client.cancellations() <= 16, "{} after {:?}", client.cancellations(), begin.elapsed());
}
